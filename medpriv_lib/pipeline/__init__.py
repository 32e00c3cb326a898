"""The verbs that `import medpriv_lib` offers and the commands call; nothing here prints."""
