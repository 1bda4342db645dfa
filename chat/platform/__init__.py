"""What every room stands on: settings, the Datastore connection, errors, the scheduler's guard."""
