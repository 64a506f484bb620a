"""Relays Voucherify rewards to Iterable: receive, store, render, deliver, prove."""
