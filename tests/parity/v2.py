"""How each case of the later models is computed with our modules: `maf_`, `mmdit_`, `turbo_`.

Sizes come from the case's config.
"""
