"""The contributors: the same attacks against those whose images or identities stand in for the
patient.

A replacement identity is a real patient, who has agreed to nothing. A contributor here is a patient
who went into a released image and is not the one it stands for; the other patients of the release
are what an attacker might confuse him with.
"""
