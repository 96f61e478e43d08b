package patterns

// Members returns the policies that p consists of, outermost first: those that [Compose] put together, or a pipeline,
// without any [Direct]. A policy that is not composed of others is its own only member.
func Members(p Policy) []Policy {
	if c, ok := p.(Composer); ok {
		p = c.Compose(Direct{}) // what hides its parts shows them when something is put into it
	}
	var members []Policy
	for {
		switch at := p.(type) {
		case nil, Direct:
			return members
		case *linked:
			members, p = append(members, at.outer), at.next
		case *closured:
			members, p = append(members, at.outer), at.next
		default:
			return append(members, at)
		}
	}
}
