"""Starts and stops the embedded Kafka, PostgreSQL and service processes on one machine."""

from decorum_local.platform import LocalPlatform
from decorum_local.processes import ServiceProcess
from decorum_local.supervisor import ChildProcess, Command, ServerError, Supervisor

__all__ = ["ChildProcess", "Command", "LocalPlatform", "ServerError", "ServiceProcess", "Supervisor"]
