"""The book of one loan, and promises to pay: pure functions over events in their business order."""
