"""The servers that tests, benchmarks and the demo start, and how they wait. No other code in regress/ starts a server.

    from harness import postgres as pg
    from harness.redis import Redis

| module | |
|---|---|
| `postgres` | a private installation of Postgres, clusters, and what reads slots |
| `forwarder` | `walspout run`, on a slot of a test's database or with any configuration; other commands of it |
| `redis`, `rabbitmq`, `nats`, `kafka` | private servers, and clients of a few lines |
| `webhook`, `nginx` | receivers of HTTP: one remembers in this process, one misbehaves on demand, one accepts
everything |
| `examples` | copies of docs/examples that run, and the packages that they need |
| `proxy` | a bad network between two programs |
| `server` | what all servers have: start, stop, kill, freeze, thaw, a log; each is for use in a `with` |
| `folders`, `privilege` | work directories, and the user that servers run as when the tests run as root |
| `ports`, `waiting`, `processes` | free ports, conditions that become true, processes and their memory |
"""
