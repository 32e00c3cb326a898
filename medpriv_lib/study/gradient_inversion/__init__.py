"""How often a site's update gives the eye away: the attack over networks, batches and defences.

`python -m medpriv_lib.study.gradient_inversion --out FOLDER` writes `gradient-inversion.json`
there, after each target, and goes on from the file where it was stopped.
"""
