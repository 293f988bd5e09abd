package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
)

// readComments collects what is written beside the fields of the types of each
// package, by "import/path.Type.Field"; without the field, the type's own.
func readComments(folders map[string]string) (map[string]string, error) {
	comments := map[string]string{}
	for pkg, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				return nil, err
			}
			for _, declaration := range tree.Decls {
				collect(comments, pkg, declaration)
			}
		}
	}
	return comments, nil
}

func collect(comments map[string]string, pkg string, declaration ast.Decl) {
	group, ok := declaration.(*ast.GenDecl)
	if !ok || group.Tok != token.TYPE {
		return
	}
	for _, spec := range group.Specs {
		typ := spec.(*ast.TypeSpec)
		name := pkg + "." + typ.Name.Name
		comments[name] = prose(group.Doc, typ.Doc)
		structure, ok := typ.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, field := range structure.Fields.List {
			for _, ident := range field.Names {
				comments[name+"."+ident.Name] = prose(field.Doc, field.Comment)
			}
		}
	}
}

// prose makes one line of comments.
func prose(groups ...*ast.CommentGroup) string {
	var words []string
	for _, group := range groups {
		words = append(words, strings.Fields(group.Text())...)
	}
	return strings.Join(words, " ")
}

// lookup is for the reflector: the comment of a field, else of the type.
func lookup(comments map[string]string) func(reflect.Type, string) string {
	return func(typ reflect.Type, field string) string {
		name := typ.PkgPath() + "." + typ.Name()
		if field != "" {
			name += "." + field
		}
		return comments[name]
	}
}
