"""What handlers and loops need from the outside: `protocols`, and the `values` that pass through them."""
