"""Differential privacy whose unit is the patient: gradients, training, accountants, ledger."""
