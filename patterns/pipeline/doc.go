// Package pipeline composes policies in a stated order and gives the result a name.
//
// [New] builds a [Pipeline] from the configurations of its steps in any order, [Standard] in the one that fits most
// calls; a [Factory] builds all pipelines of a configuration file, from named instances that they share. Links are made
// once, when a pipeline is built: a call through it allocates nothing of its own.
//
// A step that is configured but not in the order, or in the order but not configured, is an error: a pipeline never
// does less than it says. So are steps that do not fit together, such as a timeout that is longer than the one around
// it. [Pipeline.Describe] says what a pipeline is: the steps with their configuration, and warnings of what may not be
// meant.
package pipeline
