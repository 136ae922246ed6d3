package webhook

import "time"

// SetLease has d renew its lease more often than every five seconds.
func (d *Deliverer) SetLease(life time.Duration) { d.lease = life }
