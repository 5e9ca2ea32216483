# For sourcing. setup NAME: a list of setup.py, such as the flags that ship, from the one place where they are written.
setup() { { grep -E '^(EXACT|HIDDEN|AVX2|AVX512) = ' setup.py; echo "print(*$1)"; } | python3 -; }
