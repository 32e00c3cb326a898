"""Why a recogniser decides as it does, which cases are alike, and whether the evidence survives
privatisation.
"""
