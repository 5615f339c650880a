"""What tests of the notifier are built with: messages, hand-written fakes, a carrier over HTTP, a rig over Postgres."""
