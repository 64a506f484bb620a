"""How fast, and how heavy, the bridge is beside the plain ways of doing its job."""
