"""The first tables: those of `bridge.store.schema`, until the first release.

From then on this migration is frozen: it names its tables itself, and a change of the
schema is a migration of its own.
"""

from alembic import op

from bridge.store.schema import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    metadata.create_all(op.get_bind())
