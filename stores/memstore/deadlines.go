package memstore

// deadlines is a binary heap of records by deadline. A record knows its position in it, so that one in the middle can
// be removed. Deadlines mostly come in order, which makes adding cheap.
type deadlines struct{ heap []deadline }

type deadline struct {
	at   int64
	slot int32
}

// first returns the earliest deadline, or never.
func (d *deadlines) first() int64 {
	if len(d.heap) == 0 {
		return never
	}
	return d.heap[0].at
}

func (d *deadlines) add(records []record, slot int32) {
	d.heap = append(d.heap, deadline{})
	d.up(records, len(d.heap)-1, deadline{at: records[slot].deadline, slot: slot})
}

func (d *deadlines) remove(records []record, slot int32) {
	i := int(records[slot].position)
	last := len(d.heap) - 1
	moved := d.heap[last]
	d.heap = d.heap[:last]
	if i == last {
		return
	}
	if i > 0 && moved.at < d.heap[(i-1)/2].at {
		d.up(records, i, moved)
	} else {
		d.down(records, i, moved)
	}
}

// up puts e into the hole at i, or above.
func (d *deadlines) up(records []record, i int, e deadline) {
	for i > 0 {
		parent := (i - 1) / 2
		if d.heap[parent].at <= e.at {
			break
		}
		d.put(records, i, d.heap[parent])
		i = parent
	}
	d.put(records, i, e)
}

// down puts e into the hole at i, or below.
func (d *deadlines) down(records []record, i int, e deadline) {
	for {
		child := 2*i + 1
		if child >= len(d.heap) {
			break
		}
		if other := child + 1; other < len(d.heap) && d.heap[other].at < d.heap[child].at {
			child = other
		}
		if e.at <= d.heap[child].at {
			break
		}
		d.put(records, i, d.heap[child])
		i = child
	}
	d.put(records, i, e)
}

func (d *deadlines) put(records []record, i int, e deadline) {
	d.heap[i] = e
	records[e.slot].position = int32(i)
}
