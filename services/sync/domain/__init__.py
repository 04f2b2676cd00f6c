"""The rules of the shop's data, free of any server: files into rows, rows into orders, puts into states."""
