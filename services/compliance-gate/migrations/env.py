from compliance_gate.adapters.tables import metadata
from shared.postgres.migrations import run_env

run_env(metadata)
