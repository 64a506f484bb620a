"""The programs that the bridge is compared with, written as people write them."""
