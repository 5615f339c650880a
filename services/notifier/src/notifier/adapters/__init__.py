"""SQL, sealing, templates and providers: implementations of `notifier.ports`."""
