"""What the bridge is measured against, written as people write it."""
