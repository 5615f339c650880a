from scheduler.handlers.contacts import CONTACT_TYPES
from scheduler.handlers.plans import FACT_TYPES, REPORT_TYPES
from shared.contracts.registry import CONTRACTS


def test_the_scheduler_handles_exactly_what_the_registry_says_that_it_reads() -> None:
    handled = {*FACT_TYPES, *REPORT_TYPES, *CONTACT_TYPES}
    assert handled == {c.message_type for c in CONTRACTS if "scheduler" in c.readers}
