"""HTTP: runs, and the services of AWS whose calls are about runs."""
