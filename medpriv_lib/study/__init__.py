"""The whole comparison: rows, columns, attackers, the table and its pictures."""
