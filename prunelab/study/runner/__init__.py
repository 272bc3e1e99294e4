"""The series: which notebooks run, in which order, with what, and how far they are."""
