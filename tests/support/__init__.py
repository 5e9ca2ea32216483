"""What the tests share: awkward arrays, the table of operations, errors in eps, ISAs."""
