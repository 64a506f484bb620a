"""What people do to events and deliveries, worked out once for shell and console.

Finds, foresees and previews; who asked, and how it is shown, is the caller's matter.
"""
