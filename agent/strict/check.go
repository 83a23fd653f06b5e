package strict

import "github.com/infra-agent/infra-agent/reconcile"

// Check reads the table of the check called name, with defaults for what it
// does not give. It notes problems of form only, see [reconcile.Check.Problems].
func (d *Document) Check(at Path, name string, v any) reconcile.Check {
	var c reconcile.Check
	SetDefaults(&c)
	d.Value(at, v, &c)
	if c.Name != "" && c.Name != name {
		d.Problemf(at.Child("name"), "remove it: the table's name is the check's name", "%q is not %q", c.Name, name)
	}
	c.Name = name
	return c
}

// Validate notes what is wrong with a check that was read at a path.
func (d *Document) Validate(at Path, c reconcile.Check) {
	for _, p := range c.Problems() {
		if p.Key == "kind" && c.Kind != "" {
			d.Unknownf(at.Child(p.Key), string(c.Kind), kinds(), "", "%s", p.Text)
			continue
		}
		d.Problemf(at.Child(p.Key), "", "%s", p.Text)
	}
}

func kinds() []string {
	var words []string
	for _, k := range reconcile.CheckKinds {
		words = append(words, string(k))
	}
	return words
}
