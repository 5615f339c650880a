"""An audit of a run's files. It shares no code with the services and reads nothing but the folder."""
