package config

import "net"

// audit checks where the log book goes.
func (c *checker) audit() {
	const section = "audit.syslog"
	syslog := c.config.Audit.Syslog
	c.both(section+".tls.cert", section+".tls.key", syslog.TLS.Cert, syslog.TLS.Key)
	if syslog.Address == "" {
		return
	}
	host, port, err := net.SplitHostPort(syslog.Address)
	if err != nil || host == "" || port == "" || port == "0" {
		c.complain(section+".address", "allowed is host:port; 6514 is the usual port of syslog over tls")
		return
	}
	if syslog.Plain && !loopback(host) {
		c.complain(section+".plain", "who saw which patient may cross a network in tls only; allowed is true towards this machine's own loopback")
	}
}
