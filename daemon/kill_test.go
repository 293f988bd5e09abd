package daemon_test

// childState names the variable that turns the test's program into a daemon.
const childState = "NEUROTRIAGE_TEST_CHILD_STATE"

func child() int { return 0 }
