"""`python -m local.datastore`: see server.py."""

from local.datastore.server import main

if __name__ == "__main__":
    main()
