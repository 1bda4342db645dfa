"""What lets the whole system run on one machine, without Google, Meta or Anthropic.

    bench/          measurements: `python3 dev.py bench`
    sample_data/    conversations and logins for a fresh start
    simulator/      WhatsApp and the customers' phones; imports nothing of the chat
    datastore/      a Datastore on SQLite, and the start of Google's emulator
    processes/      `python3 dev.py run`: starts them all, watches them, stops them

Imports go down this list, never up; tests/test_rooms.py holds them to it.
"""
