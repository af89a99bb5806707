"""What docks are made of: forms, tables, plots, folding sections. Knows Qt, but no map."""
