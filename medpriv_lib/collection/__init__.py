"""Collecting without exposing: pseudonyms, common patients, tables in groups, uploads in shares."""
