from tests.product.conftest import program, pytest_runtest_makereport

__all__ = ["program", "pytest_runtest_makereport"]
