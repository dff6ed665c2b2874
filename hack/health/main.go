// health says how GitOps tools read an object: by kstatus, and by the CEL expressions of a Flux Kustomization.
//
// It reads {"objects": {NAME: OBJECT}, "expressions": {KIND: {"inProgress", "failed", "current"}}} from
// standard input, where each of the three may lack, and writes {NAME: {"kstatus", "flux"}}.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type request struct {
	Objects     map[string]*unstructured.Unstructured `json:"objects"`
	Expressions map[string]map[string]string          `json:"expressions"`
}

type reading struct {
	Kstatus status.Status `json:"kstatus"`
	Flux    status.Status `json:"flux"`
}

// In the order in which Flux asks.
var questions = []struct {
	name   string
	answer status.Status
}{
	{"inProgress", status.InProgressStatus},
	{"failed", status.FailedStatus},
	{"current", status.CurrentStatus},
}

func main() {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fail("standard input", err)
	}
	readings := map[string]reading{}
	for name, object := range asked.Objects {
		result, err := status.Compute(object)
		if err != nil {
			fail(name, err)
		}
		flux, err := fluxStatus(object, asked.Expressions[object.GetKind()])
		if err != nil {
			fail(name, err)
		}
		readings[name] = reading{result.Status, flux}
	}
	if err := json.NewEncoder(os.Stdout).Encode(readings); err != nil {
		fail("standard output", err)
	}
}

// fluxStatus answers as Flux does (its RFC 0009): an object whose generation was not observed is in progress,
// whatever the expressions say.
func fluxStatus(object *unstructured.Unstructured, expressions map[string]string) (status.Status, error) {
	observed, found, err := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	if err != nil {
		return "", err
	}
	if found && observed != object.GetGeneration() {
		return status.InProgressStatus, nil
	}
	for _, question := range questions {
		expression, asked := expressions[question.name]
		if !asked {
			continue
		}
		yes, err := holds(expression, object.Object)
		if err != nil {
			return "", fmt.Errorf("%s: %w", question.name, err)
		}
		if yes {
			return question.answer, nil
		}
	}
	return status.InProgressStatus, nil
}

// holds evaluates an expression over an object's top-level fields, parsed and not type-checked, as Flux does.
func holds(expression string, fields map[string]any) (bool, error) {
	environment, err := cel.NewEnv(
		cel.HomogeneousAggregateLiterals(), cel.EagerlyValidateDeclarations(true), cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true), cel.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Encoders(),
	)
	if err != nil {
		return false, err
	}
	parsed, issues := environment.Parse(expression)
	if issues.Err() != nil {
		return false, issues.Err()
	}
	program, err := environment.Program(parsed)
	if err != nil {
		return false, err
	}
	value, _, err := program.Eval(fields)
	if err != nil {
		return false, err
	}
	yes, ok := value.Value().(bool)
	if !ok {
		return false, fmt.Errorf("%q is no boolean", expression)
	}
	return yes, nil
}

func fail(about string, err error) {
	fmt.Fprintf(os.Stderr, "health: %s: %v\n", about, err)
	os.Exit(1)
}
