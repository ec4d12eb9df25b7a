"""From marts to tables, figures and the study report."""
