"""The toy service as a process of its own: `uvicorn tests.toy_app:app`; `TOY_NAME` names its group and database."""

import os

from shared.service import PlatformSettings
from tests.toy_service import toy_service

app = toy_service(PlatformSettings.load(), os.environ["TOY_NAME"]).asgi()
