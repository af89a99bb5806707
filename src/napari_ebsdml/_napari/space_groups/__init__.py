"""The widget "Space groups": names the space group of every pattern of a map.

`widget` is the dock; `work` runs in threads; `looks` turns answers into classes, colours and
tables; the panels are the dock's tabs.
"""
