package outbound

import "net/netip"

// CheckAddr lets tests judge addresses that no test may dial.
func CheckAddr(p *Policy, to netip.AddrPort) error { return p.checkAddr(to) }
