"""List, dict and set comprehensions over objects."""

from pybench import benchmark

benchmark("bm_comprehensions", loops=2000, see={"WidgetTray._add_widgets": ("sortable_widgets",)})
