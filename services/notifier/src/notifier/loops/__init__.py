"""Work at its own pace, in bounded batches: sending, its shadow, ending what nobody uses, upkeep."""
