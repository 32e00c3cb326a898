"""Tables in which each patient looks like at least k - 1 others.

Hides: which row belongs to a patient, from somebody who knows the patient's quasi-identifiers (age,
postcode, sex, days of visits) and nothing else.
Trusted: whoever makes the table, for this party sees every row; and the choice of the columns that
count as quasi-identifiers.
Does not protect against: a group that has one diagnosis in common; knowledge that rules diagnoses
out; a second table about the same patients; columns that were not named as quasi-identifiers.
"""

from medpriv_lib.collection.anonymous_tables.mondrian import AnonymousTable, anonymise

__all__ = ["AnonymousTable", "anonymise"]
