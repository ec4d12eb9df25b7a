from tests.patients.method_page import BLOCK, PAGE, TABLES, refreshed


def test_method_page_states_the_seeds() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert {name for _, name, _ in BLOCK.findall(page)} == set(TABLES)
    assert page == refreshed(page), "run `python -m tests.patients.method_page`"
