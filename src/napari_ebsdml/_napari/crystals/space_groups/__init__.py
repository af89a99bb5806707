"""Names the space group of every pattern of a map.

`classify` and `training_work` run in threads; `display`, `overlay` and `results` turn answers into
classes, colours, tables and layers; the panels are the tabs.
"""
