"""What operators do, decided once for shell and console; callers only show it."""
