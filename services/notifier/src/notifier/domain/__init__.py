"""Pure rules of sending and of what comes back: no clock, id, random, await, log or SQL."""
