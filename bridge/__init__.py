"""The bridge between Voucherify and the tools that talk to customers."""
